"""How the breeds of the sample look."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Coat:
    """Colours with their chances, the length of the hair, and how untidy it is (0 flat, 1 on end)."""

    colours: dict[str, float]
    hair: float
    tousle: float


@dataclass(frozen=True)
class Head:
    """Height of the skull, radii of cheeks and jaw, and the measures of muzzle and eyes."""

    skull: float
    cheeks: float
    jaw: float
    muzzle: float
    muzzle_width: float
    muzzle_drop: float
    eye: float
    eye_gap: float


@dataclass(frozen=True)
class Ear:
    """Where an ear is rooted, sideways and upwards of the middle, and its shape."""

    spread: float
    lift: float
    length: float
    width: float
    lean: float  # degrees: 0 stands upright, 90 points sideways, 180 hangs
    roundness: float  # 1 is a triangle, more a leaf


@dataclass(frozen=True)
class Breed:
    """How a breed looks; lengths are in half widths of a head, about a quarter of a picture's shorter side."""

    coat: Coat
    head: Head
    ear: Ear
    neck: float
    chances: dict[str, float]  # of markings, a smile and a beard, in [0, 1]


CAIRN_COLOURS = {"wheaten": 0.25, "cream": 0.18, "grey": 0.18, "brindle": 0.15, "sand": 0.12, "black": 0.12}
CHIHUAHUA_COLOURS = {"fawn": 0.2, "ginger": 0.2, "cream": 0.18, "black": 0.16, "white": 0.14, "sand": 0.12}
DINGO_COLOURS = {"ginger": 0.28, "sand": 0.2, "cream": 0.18, "fawn": 0.14, "black": 0.12, "white": 0.08}

SAMOYED = Breed(
    coat=Coat({"white": 0.6, "cream": 0.32, "silver": 0.08}, hair=0.28, tousle=0.25),
    head=Head(0.84, 0.56, 0.6, muzzle=0.5, muzzle_width=0.42, muzzle_drop=0.22, eye=0.12, eye_gap=0.37),
    ear=Ear(spread=0.58, lift=0.66, length=0.88, width=0.68, lean=20, roundness=1.35),
    neck=1.05,
    chances={"pale face": 0.1, "dark mask": 0.04, "patches": 0.3, "smile": 0.5, "beard": 0},
)

BREEDS = {
    "Cairn": Breed(
        coat=Coat(CAIRN_COLOURS, hair=0.32, tousle=0.55),
        head=Head(0.8, 0.5, 0.58, muzzle=0.34, muzzle_width=0.4, muzzle_drop=0.2, eye=0.13, eye_gap=0.35),
        ear=Ear(spread=0.54, lift=0.62, length=0.86, width=0.58, lean=20, roundness=1.25),
        neck=0.9,
        chances={"pale face": 0.1, "dark mask": 0.3, "patches": 0.1, "smile": 0.2, "beard": 1},
    ),
    "Chihuahua": Breed(
        coat=Coat(CHIHUAHUA_COLOURS, hair=0.11, tousle=0.15),
        head=Head(0.9, 0.4, 0.5, muzzle=0.34, muzzle_width=0.29, muzzle_drop=0.22, eye=0.165, eye_gap=0.42),
        ear=Ear(spread=0.65, lift=0.52, length=1.1, width=0.8, lean=32, roundness=1.6),
        neck=0.62,
        chances={"pale face": 0.5, "dark mask": 0.1, "patches": 0.15, "smile": 0.2, "beard": 0},
    ),
    "Dingo": Breed(
        coat=Coat(DINGO_COLOURS, hair=0.12, tousle=0.15),
        head=Head(0.74, 0.36, 0.44, muzzle=0.8, muzzle_width=0.36, muzzle_drop=0.36, eye=0.115, eye_gap=0.38),
        ear=Ear(spread=0.52, lift=0.53, length=0.92, width=0.62, lean=17, roundness=1.3),
        neck=0.8,
        chances={"pale face": 0.6, "dark mask": 0.1, "patches": 0.15, "smile": 0.25, "beard": 0},
    ),
    "Pyrenees": replace(SAMOYED, ear=Ear(spread=0.78, lift=0.46, length=0.9, width=0.64, lean=170, roundness=1.4)),
    "Samoyed": SAMOYED,
}
