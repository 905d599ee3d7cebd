from retune.inference.classifier import Classifier as Classifier
from retune.inference.reader import Reader as Reader
from retune.inference.text_generator import TextGenerator as TextGenerator

__version__: str
