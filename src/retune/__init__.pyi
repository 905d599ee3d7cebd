from retune.inference.reader import Reader as Reader

__version__: str
