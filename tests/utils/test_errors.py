import pytest
import torch

from medmd.utils import MedmdError


class _Cases(torch.utils.data.Dataset):
    def __init__(self, text):
        self.text = text

    def __len__(self):
        return 2

    def __getitem__(self, index):
        try:
            msg = "/data/mueller-hans/oct.nii.gz"
            raise OSError(msg)
        except OSError:
            raise MedmdError(self.text) from None


@pytest.mark.parametrize("text", ["Case c1: cannot be read.", "two\nlines: ValueError: x"])
def test_from_a_worker_comes_the_sentence_alone(text):
    with pytest.raises(MedmdError) as caught:
        list(torch.utils.data.DataLoader(_Cases(text), num_workers=1))

    assert str(caught.value) == text


def test_any_other_text_is_kept():
    assert str(MedmdError("Caught ValueError in a net")) == "Caught ValueError in a net"
    assert MedmdError().args == ()
    assert MedmdError("a", 3).args == ("a", 3)
