"""Superconductivity: 21,263 compounds of the UCI repository, the critical temperature from properties and composition.

`python -m data_prep.superconductivity --help` is the way to use it.
"""

from data_prep._release import Choice, Release
from data_prep.superconductivity._read import read

__all__ = ["RELEASE"]

RELEASE = Release(
    name="superconductivity",
    title="Superconductivity",
    inputs="81 properties and the amounts of 86 elements, and the critical temperature (K) as the target",
    cases="compounds",
    source="folder with train.csv and unique_m.csv (with --stand-in: an .npz file)",
    layout="""\
SRC holds train.csv (81 properties, critical_temp) and unique_m.csv (86 elements, critical_temp, material), whose rows
belong together, which is checked by the temperatures. Compounds of one chemical family stay in one list: the family is
the set of elements that are 10 % of the atoms or more, such as Ba-Cu-O. A split by compound puts relatives on both
sides and flatters the errors.

--stand-in reads an .npz with composition, elements, magpie (132 statistics), tc and group (the family, a number)
instead; train with data/superconductors.json then.""",
    citation='Hamidieh, "A data-driven statistical model for predicting the critical temperature of a superconductor", '
    "Computational Materials Science 154, 2018",
    licence="CC BY 4.0 (UCI repository, dataset 464)",
    read=read,
    choices=(
        Choice(name="stand_in", help="SRC is an .npz with other features of other compounds"),
        Choice(name="split_by", help="what stays in one list", default="family", allowed=("family", "compound")),
    ),
)
