"""Register model classes of our own with transformers' Auto classes."""

from collections.abc import Callable
from typing import Any, TypeVar

from transformers import AutoConfig, PreTrainedModel

Model = TypeVar("Model", bound=type[PreTrainedModel])


def registered(auto_class: Any) -> Callable[[Model], Model]:
    """Decorate a model class so that `auto_class` builds it from its configuration."""

    def register(model: Model) -> Model:
        config: Any = model.config_class
        AutoConfig.register(config.model_type, config)
        auto_class.register(config, model)
        return model

    return register
