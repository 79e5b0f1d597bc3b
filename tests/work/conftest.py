from study_fixtures import cache, config, fakes, recorder, run, sounds

__all__ = ["cache", "config", "fakes", "recorder", "run", "sounds"]
