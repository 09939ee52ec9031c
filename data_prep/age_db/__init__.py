"""AgeDB: 16,488 photographs of faces of 568 people, the age of each in years.

`python -m data_prep.age_db --help` is the way to use it.
"""

from data_prep._release import Choice, Release
from data_prep.age_db._read import read

__all__ = ["RELEASE"]

RELEASE = Release(
    name="age_db",
    title="AgeDB",
    inputs="photograph of a face, and the age (years) as the target",
    cases="photographs",
    source="folder of the photographs",
    layout="""\
SRC holds photographs named id_Name_age_gender.jpg, in any folder. People's names do not leave it: a person is a
salted digest, equal for the same set of files, so that all photographs of one stay in one list. Who has the release
can compute the digests too.

--parts dir takes the lists of agedb.csv (age, path, split), the split of the literature on imbalanced regression with
balanced validation and testing lists. It puts the same people into several lists; then every photograph counts as a
person of its own.""",
    citation='Moschoglou et al., "AgeDB: the first manually collected, in-the-wild age database", CVPR Workshops 2017',
    licence="non-commercial research only, no redistribution",
    read=read,
    choices=(
        Choice(
            name="parts",
            help="split by person, or as agedb.csv says",
            default="person",
            allowed=("person", "dir"),
        ),
    ),
    reasons={
        "name_foreign": ("a photograph whose name is not id_Name_age_gender.jpg", "look at the file's name"),
        "number_twice": ("two photographs have one number", "keep the one that is meant"),
        "not_in_split": ("agedb.csv does not name it", "nothing, if the split leaves it out"),
    },
    harmless=frozenset({"not_in_split"}),
)
