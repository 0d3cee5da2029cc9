"""Headers and keys: what can be sent, and what would be written down."""

import pytest

from datagen.access import with_variables
from datagen.engine_settings import EngineSettings
from datagen.errors import DatagenError


def engine(**fields: object) -> EngineSettings:
    return EngineSettings.model_validate({"model": "m", **fields})


def test_a_header_takes_secrets_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", "s3cret")
    headers = engine(headers={"Authorization": "Token ${GATEWAY_TOKEN}", "X-Title": "datagen"}).headers
    assert headers["Authorization"] == "Token ${GATEWAY_TOKEN}"
    assert with_variables(headers) == {"Authorization": "Token s3cret", "X-Title": "datagen"}


@pytest.mark.parametrize(("value", "said"), [(None, "is not set"), ("a\r\nX: y", "holds what no header can")])
def test_a_variable_that_is_no_value_of_a_header_is_named(
    value: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEWAY_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("GATEWAY_TOKEN", value)
    with pytest.raises(DatagenError, match=rf"The header X-Key names .* GATEWAY_TOKEN, which {said}"):
        with_variables({"X-Key": "${GATEWAY_TOKEN}"})


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"X Key": "1"}, "'X Key' is no header that can be sent"),
        ({"X-Key": "一"}, "'X-Key' is no header that can be sent"),
        ({"X-Key": "a\nb"}, "'X-Key' is no header that can be sent"),
        ({"Content-Type": "text/plain"}, "'Content-Type' is set by HTTP itself"),
        ({"Authorization": "Bearer sk-123"}, "'Authorization' would be written to the run"),
    ],
)
def test_what_is_no_header_or_no_secret_is_refused(headers: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        engine(headers=headers)


def test_further_fields_of_requests_have_their_old_name_too() -> None:
    assert engine(request={"top_k": 20}) == engine(extra_body={"top_k": 20})


def test_gpus_are_of_servers_that_are_started() -> None:
    assert engine(gpus=2, replicas=3).gpus == 2
    with pytest.raises(ValueError, match="gpus and replicas are of servers that datagen starts"):
        engine(gpus=2, endpoints=["http://h/v1"])
