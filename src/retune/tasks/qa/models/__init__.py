"""Models that read (B, T) windows and give start and end logits (B, T), one file each.

To add one, write `qa/models/<variant>.py` with

- `Params`, a frozen dataclass: the params section `qa.models.<variant>`;
- `build(params, pretrained, vocabulary_size, pad_token_id)`, which gives a
  `PreTrainedModel` with fresh weights (the caller has seeded torch). Its
  `forward(input_ids, attention_mask, token_type_ids=None)` takes integers (B, T), where
  mask 1 = real token and type 1 = context, and returns `QuestionAnsweringModelOutput`
  without a loss. Logits of real tokens must not depend on the amount of padding. If its
  training adds something to the span loss, its method `penalty()` returns it;
- for speed on a CPU the model may also read packed windows (`retune.tasks.qa.predict.attention`):
  all tokens in one row (1, N), with `attention_mask` None, `position_ids` (1, N) and `packing`;
  then it sets `_supports_attention_backend`, and `retune.tasks.qa.predict.packing` tries it out;
- where the model is not transformers' own, a configuration, and the decorator
  `registered(AutoModelForQuestionAnswering)` (`retune.models.registration`) on the model.

The file imports no other variant, so that editing it re-runs no other. Then add the
section to params.yaml and choose it: `dvc exp run -S qa.model=<variant>`.
"""
