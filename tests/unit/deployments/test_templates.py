"""The operator's settings in what is deployed."""

import pytest

from deployments.templates import filled
from shopsync.errors import SettingsError


def test_value_alone_keeps_its_type():
    """A placeholder that stands alone becomes the value itself."""
    assert {"subnets": ["a", "b"]} == filled({"subnets": "{{ $SUBNETS }}"}, {"SUBNETS": ["a", "b"]})


def test_value_in_text_is_text():
    """Inside a text it is written out."""
    assert ["image:1"] == filled(["{{ $NAME }}:{{$TAG}}"], {"NAME": "image", "TAG": 1})


def test_missing_value_drops_its_key():
    """What nobody set is not sent; what the file itself leaves empty is."""
    assert {"name": None} == filled({"image": "{{ $IMAGE }}", "name": None}, {"IMAGE": None})


def test_placeholders_of_the_worker_stay():
    """What Prefect fills when a run starts, blocks above all, is none of ours."""
    template = {"env": "{{ env }}", "token": "{{ prefect.blocks.secret.shopsync-shopify-token }}"}

    assert template == filled(template, {})


def test_unknown_name_is_told():
    """A misspelt placeholder is not silently empty."""
    with pytest.raises(SettingsError, match="SHOPSYNC_IMAGGE is named by a file of the deployments"):
        filled("{{ $SHOPSYNC_IMAGGE }}", {"SHOPSYNC_IMAGE": "x"})
