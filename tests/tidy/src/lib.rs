//! Conventions of this repository as tests: what review would otherwise have to say again and again. See `tests/`.
