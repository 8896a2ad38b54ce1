"""Makes the offline kit: one directory from which a host without any network is installed (docs/installation.md).

``release``     what differs between the Debian and Ubuntu releases
``debian``      the packages the host needs, as a flat apt repository
``wheels``      Python's packages, by the hashes in deploy/locks, and the project's own
``model``       the first model bundle, and the keys it is trusted by
``contents``    the lists: ``kit.toml``, and the SBOM in CycloneDX
``seal``        ``SHA256SUMS`` over every file, and its signature

``python -m deploy.kit --help``; ``make offline-kit KIT=DIR`` calls it.
"""
