from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.provider import Closes, Prepares, ProviderError
from pipeline.providers.deepgram import transcriber
from pipeline.providers.deepgram.flux import FluxTranscriber
from pipeline.providers.deepgram.listen_v1 import NovaTranscriber
from tests.pipeline.providers.deepgram.calls import source


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("", NovaTranscriber),
        ("nova-3", NovaTranscriber),
        ("flux", FluxTranscriber),
        ("flux-general-en", FluxTranscriber),
    ],
)
def test_the_name_of_the_model_chooses_the_interface(model: str, kind: type[object]) -> None:
    made = transcriber(source("127.0.0.1:1", model))
    assert isinstance(made, kind)
    assert isinstance(made, Prepares)
    assert isinstance(made, Closes)


@pytest.mark.parametrize("model", ["nova-3", "flux"])
def test_without_a_key_it_says_where_one_belongs(model: str) -> None:
    with pytest.raises(ProviderError, match="DEEPGRAM_API_KEY") as raised:
        transcriber(replace(source("127.0.0.1:1", model), api_key=""))
    assert not raised.value.retryable
