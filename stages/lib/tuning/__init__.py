"""Looking for better settings of a head by cross-validation on train and val together."""
