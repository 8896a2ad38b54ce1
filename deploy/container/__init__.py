"""What the container image needs beside the Dockerfile.

``base``     Debian's smallest system as an image's base, where no registry has one
``tree``     who each file of an image belongs to: Debian's packages, Python's, or nobody
``layers``   the layers of a finished image: files and sizes
``prebuilt`` what Triton compiles on a GPU, compiled in advance; ``stand_in`` hands it out

``python -m deploy.container --help`` writes the list of an image's components;
the Dockerfile calls it.
"""
