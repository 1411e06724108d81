"""Reading a config.json strictly: every field is understood, known to mean nothing here, or refused by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from limpid.core.errors import LimpidError

_REQUIRED = object()

# What says nothing about the arithmetic of a forward pass: bookkeeping, training and generation.
BOOKKEEPING = frozenset(
    """
    architectures model_type dtype torch_dtype transformers_version _name_or_path _attn_implementation auto_map
    use_cache initializer_range initializer_factor init_std pretraining_tp attention_dropout hidden_dropout_prob
    classifier_dropout summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout
    bos_token_id eos_token_id pad_token_id sep_token_id decoder_start_token_id forced_eos_token_id forced_bos_token_id
    bad_words_ids max_length min_length num_beams length_penalty early_stopping no_repeat_ngram_size
    task_specific_params label2id id2label num_labels problem_type finetuning_task output_attentions
    output_hidden_states output_router_logits return_dict chunk_size_feed_forward router_aux_loss_coef
    router_jitter_noise is_decoder is_encoder_decoder add_cross_attention cross_attention_hidden_size
    tie_encoder_decoder gradient_checkpointing n_special predict_special_tokens max_window_layers
    temperature top_k top_p typical_p repetition_penalty do_sample unsloth_fixed unsloth_version encoder_layerdrop
    decoder_layerdrop activation_dropout classif_dropout
    """.split()
)


class Fields:
    """A config.json, whose fields are taken one by one; `finish` refuses those that nobody took."""

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self.table, self.where = table, where
        self._taken: set[str] = set()

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """The field's value; ``default`` where it is absent or null.

        Raises:
            LimpidError: it is absent, and there is no default.
        """
        self._taken.add(name)
        value = self.table.get(name)
        if value is not None:
            return value
        if default is _REQUIRED:
            raise LimpidError(f"{self.where} lacks the field '{name}'.")
        return default

    def must(self, name: str, *allowed: Any) -> Any:
        """The field's value, which has to be one of ``allowed``; the first of them is what its absence means."""
        value = self.take(name, allowed[0])
        if value not in allowed:
            self.refuse(name, f"limpid builds {' or '.join(map(repr, allowed))}")
        return value

    def refuse(self, name: str, why: str) -> None:
        """Raise LimpidError about the field ``name``."""
        raise LimpidError(f"{self.where}: the field '{name}' is {self.table.get(name)!r}; {why}.")

    def finish(self, ignored: Collection[str] = ()) -> None:
        """Raise LimpidError naming the fields that say something and were not taken."""
        known = self._taken | BOOKKEEPING | set(ignored)
        unknown = {
            name: value
            for name, value in self.table.items()
            if name not in known and value not in (None, False, [], {})
        }
        if unknown:
            listed = ", ".join(f"'{name}' = {value!r}" for name, value in sorted(unknown.items()))
            raise LimpidError(
                f"{self.where} has fields that limpid does not know: {listed}. "
                "If you know that they change nothing in the forward pass, name them with --ignore-field."
            )
