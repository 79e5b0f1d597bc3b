"""The configuration of models, training and studies: its sections, how they are read and how they are displayed."""

from auricle.config.reading import (
    fields_like,
    load_preset,
    load_references,
    load_section,
    load_study,
    merge,
    names_in,
    no_field,
    parse_overrides,
    preset_from_yaml,
    preset_names,
    revalidated,
    study_names,
    to_yaml,
    with_fitting_warmup,
)
from auricle.config.reference import Setting, settings
from auricle.config.sections import (
    AudioConfig,
    AugmentationConfig,
    Axis,
    BaseConfig,
    BlockConfig,
    EncoderConfig,
    FrontendConfig,
    HeadConfig,
    Preset,
    ProtocolName,
    Reference,
    ReferenceFigure,
    Section,
    StudyConfig,
    TrainingConfig,
)
