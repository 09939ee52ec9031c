"""CMU-MOSI: opinions in videos, from what they say, their voice and their face, one row an utterance.

`python -m data_prep.mosi --help` is the way to use it. Only `.npz` is read: the pickles and `.csd` files of the
CMU-MultimodalSDK can run code when they are opened.
"""

from data_prep._release import Choice, Release
from data_prep.mosi._read import read

__all__ = ["RELEASE"]

RELEASE = Release(
    name="mosi",
    title="CMU-MOSI",
    inputs="features of text, voice and face of an utterance, and the opinion (-3 to 3) as the target",
    cases="utterances",
    source="the .npz file, or the folder that holds it",
    layout="""\
SRC holds arrays train_text, train_audio, train_video (a row an utterance), train_y (the opinion), train_uid (such as
03bSnISJMiM_11: video, number of the utterance), the same for test and, if you like, for valid. Pickles and .csd files
are not read. From the SDK, in an environment that you trust with them:

  numpy.savez_compressed("mosi.npz", train_text=text.mean(axis=1), train_uid=numpy.array(names), ...)

The parts train and test are kept, when they share no video; without a part valid, videos of train become the list
validation. A video is a patient. The release has 93 videos of 89 speakers and does not name the speakers, so that one
of several videos can stand in two lists. Videos are numbered: their names are addresses on the web. An input with a
number that is not finite is missing for that utterance.

In the .npz that circulates, text and video come from networks that were trained on the opinions of the part train: text
tells half as much of other opinions, video nothing, so that a list validation from train says little about test.
Compare methods with --part test: its videos alone, split anew.""",
    citation='Zadeh et al., "MOSI: Multimodal Corpus of Sentiment Intensity", arXiv:1606.06259, 2016',
    licence="research use, no redistribution",
    read=read,
    choices=(
        Choice(
            name="part",
            help="all; or test: without the videos on which features were trained",
            default="all",
            allowed=("all", "test"),
        ),
    ),
)
