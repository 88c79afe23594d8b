set(datamanager_upload_protos
  proto/rpc/v1/auth.proto
  viam/app/data/v1/data.proto
  viam/app/datasync/v1/data_sync.proto)
set(datamanager_component_protos
  viam/common/v1/common.proto
  viam/component/arm/v1/arm.proto
  viam/component/audioin/v1/audioin.proto
  viam/component/board/v1/board.proto
  viam/component/camera/v1/camera.proto
  viam/component/encoder/v1/encoder.proto
  viam/component/gantry/v1/gantry.proto
  viam/component/motor/v1/motor.proto
  viam/component/movementsensor/v1/movementsensor.proto
  viam/component/powersensor/v1/powersensor.proto
  viam/component/servo/v1/servo.proto
  viam/robot/v1/robot.proto
  viam/service/slam/v1/slam.proto
  viam/service/vision/v1/vision.proto)

# datamanager_protos(<target> PREFIX <package prefix or ""> [GRPC] PROTOS <files below proto/>)
#
# Makes a static library of generated messages. With a PREFIX such as "datamanager.wire" the
# messages are generated from copies whose file names and packages carry it, so that they never
# meet another copy of viam.* or proto.rpc.* in Protobuf's process-wide registry.
function(datamanager_protos target)
  cmake_parse_arguments(ARG "GRPC" "PREFIX" "PROTOS" ${ARGN})
  set(source_root "${PROJECT_SOURCE_DIR}/proto")
  set(out "${PROJECT_BINARY_DIR}/generated/${target}")
  file(MAKE_DIRECTORY "${out}")

  if(ARG_PREFIX)
    string(REPLACE "." "/" directory "${ARG_PREFIX}")
    set(import_root "${PROJECT_BINARY_DIR}/generated/${target}_protos")
    foreach(proto IN LISTS ARG_PROTOS)
      file(READ "${source_root}/${proto}" text)
      string(REGEX REPLACE "\npackage " "\npackage ${ARG_PREFIX}." text "${text}")
      string(REPLACE "import \"viam/" "import \"${directory}/viam/" text "${text}")
      string(REPLACE " viam." " .${ARG_PREFIX}.viam." text "${text}")
      file(CONFIGURE OUTPUT "${import_root}/${directory}/${proto}" CONTENT "${text}" @ONLY)
      set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY
        CMAKE_CONFIGURE_DEPENDS "${source_root}/${proto}")
      list(APPEND protos "${directory}/${proto}")
    endforeach()
  else()
    set(import_root "${source_root}")
    set(protos ${ARG_PROTOS})
  endif()

  foreach(proto IN LISTS protos)
    string(REGEX REPLACE "\\.proto$" "" base "${proto}")
    set(outputs "${out}/${base}.pb.cc" "${out}/${base}.pb.h")
    set(flags --cpp_out=${out})
    if(ARG_GRPC)
      list(APPEND outputs "${out}/${base}.grpc.pb.cc" "${out}/${base}.grpc.pb.h")
      list(APPEND flags --grpc_out=${out}
        --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>)
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND protobuf::protoc ${flags} -I "${import_root}" -I "${Protobuf_INCLUDE_DIRS}" "${proto}"
      DEPENDS "${import_root}/${proto}"
      VERBATIM)
    list(APPEND sources ${outputs})
  endforeach()

  add_library(${target} STATIC ${sources})
  # Generated files are large, and not made to share a translation unit.
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
  target_include_directories(${target} SYSTEM PUBLIC
    "$<BUILD_INTERFACE:${out}>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf)
  if(ARG_GRPC)
    target_link_libraries(${target} PUBLIC gRPC::grpc++)
  endif()
endfunction()
