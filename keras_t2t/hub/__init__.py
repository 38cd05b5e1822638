"""The Hugging Face hub, and KerasHub, which is imported when it is needed."""


def __getattr__(name):
    if name == "T2TViTBackbone":
        from keras_t2t.hub.backbone import T2TViTBackbone

        return T2TViTBackbone
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
