"""RSNA Pediatric Bone Age Challenge 2017: radiographs of children's hands, sex, and the bone age in months.

`python -m data_prep.rsna_bone_age --help` is the way to use it.
"""

from data_prep._release import Release
from data_prep.rsna_bone_age._read import read

__all__ = ["RELEASE"]

RELEASE = Release(
    name="rsna_bone_age",
    title="RSNA bone age",
    inputs="radiograph of the hand and sex, and the bone age (months) as the target",
    cases="radiographs",
    source="folder with the tables and the folders of radiographs",
    layout="""\
SRC holds boneage-training-dataset.csv (id, boneage, male) and 1377.png … in any folder below; where they are there
also the validation table (Image ID, male, Bone Age (months)) and one of the test part, such as `Bone age ground
truth.xlsx` (Case ID, Sex, Ground truth bone age (months)). Tables are CSV or Excel (.xlsx), told apart by `train`,
`val` and `test` in their names or, failing that, their folders'; a ground truth without such a word is the test
part's. The parts are kept when the test part has bone ages; otherwise the release's validation part is the list
testing, and some training radiographs become the list validation. Tables and radiographs that are not used are told.
The release names no patients.""",
    citation='Halabi et al., "The RSNA Pediatric Bone Age Machine Learning Challenge", Radiology 290(2), 2019',
    licence="RSNA's terms of the challenge: non-commercial research and education, no redistribution",
    read=read,
    reasons={
        "row_twice": ("the table has two rows for the radiograph", "keep the right row"),
        "row_without_id": ("a row without a number", "look at the row"),
        "photograph_twice": ("the radiograph lies there twice", "keep the one that is meant"),
    },
)
