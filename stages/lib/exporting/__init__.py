"""The best model in other formats than Keras': converted, labelled, read again, compared."""
