# Sourced where packages are fetched: the registry and the authorities of whoever builds. None of it stays in an image.
set -a
if [ -s /run/secrets/registry ]; then . /run/secrets/registry; fi
if [ -s /run/secrets/authorities ]; then SSL_CERT_FILE=/run/secrets/authorities PIP_CERT=/run/secrets/authorities; fi
set +a
