# The libraries that the core stands on. datamanagerConfig.cmake includes this file too, so that
# a consumer looks them up the same way.
include(CMakeFindDependencyMacro)

find_dependency(Threads)
# Newer distributions ship a config file for Protobuf, which also names the Abseil targets it
# needs; Debian 12 has only CMake's own module.
find_package(Protobuf CONFIG QUIET)
if(NOT Protobuf_FOUND)
  find_dependency(Protobuf)
endif()
find_dependency(gRPC)
find_dependency(absl)
find_dependency(spdlog)
find_dependency(OpenSSL)
