import pytest
import torch

from medmd.utils import MedmdError, load_tensor


class Code:
    def __reduce__(self):
        return print, ("code",)


def test_one_tensor_comes_back(tmp_path):
    tensor = torch.arange(12.0).reshape(3, 4)
    torch.save(tensor, tmp_path / "x.pt")
    torch.testing.assert_close(load_tensor(tmp_path / "x.pt", role="features"), tensor, rtol=0, atol=0)


@pytest.mark.parametrize("content", [{"a": torch.zeros(2)}, [torch.zeros(2)], 3, Code()])
def test_anything_else_is_refused(tmp_path, content, capsys):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(MedmdError, match=r"x.pt \(features\) is refused"):
        load_tensor(tmp_path / "x.pt", role="features")
    assert capsys.readouterr().out == ""


def test_a_tensor_larger_than_its_numbers_is_refused(tmp_path):
    torch.save(torch.zeros(1).expand(10**6), tmp_path / "x.pt")
    with pytest.raises(MedmdError, match="is refused"):
        load_tensor(tmp_path / "x.pt", role="features")
    (tmp_path / "y.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(MedmdError, match="damaged file"):
        load_tensor(tmp_path / "y.pt", role="features")
