# The dump of the library's interface, with which `ninja abi` compares, has every function that it exports.
exec tools/abi.sh build/release names
