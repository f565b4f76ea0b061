# SPDX-License-Identifier: Apache-2.0
# The library for programs in C and C++: one archive (or shared object) with all stages, a few headers, and a package for
# find_package(rmbg). Where only tests want it, it is built and installed on request: --component library.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(on_request)
if(NOT RMBG_LIBRARY)
  set(on_request EXCLUDE_FROM_ALL)
endif()

add_library(rmbg_engine OBJECT ${on_request} csrc/engine/c_interface.cpp csrc/engine/engine.cpp)
target_compile_definitions(rmbg_engine PRIVATE "RMBG_VERSION=\"${PROJECT_VERSION}\"")
target_link_libraries(rmbg_engine PUBLIC rmbg_flags)

# What our own targets need stays out of the package: the objects are taken without it.
function(rmbg_library name kind)
  add_library(${name} ${kind} ${on_request} ${ARGN})
  foreach(part rmbg_engine rmbg_model_file rmbg_cpu_network rmbg_host rmbg_device)
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:${part}>)
  endforeach()
  target_link_libraries(${name} PRIVATE Threads::Threads)
  if(RMBG_WITH_CUDA)
    target_link_libraries(${name} PRIVATE CUDA::cudart_static)
  endif()
  if(kind STREQUAL "SHARED" AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_link_options(${name} PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/rmbg.map)
    set_property(TARGET ${name} PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/rmbg.map)
  endif()
  if(RMBG_SANITIZE)
    target_link_options(${name} PUBLIC -fsanitize=${RMBG_SANITIZE})
  endif()
  target_compile_features(${name} INTERFACE cxx_std_17)
endfunction()

if(BUILD_SHARED_LIBS)
  rmbg_library(rmbg SHARED)
else()
  rmbg_library(rmbg STATIC)
endif()
set_target_properties(rmbg PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
add_library(rmbg::rmbg ALIAS rmbg)
if(RMBG_TESTS AND NOT BUILD_SHARED_LIBS)
  rmbg_library(rmbg_shared SHARED EXCLUDE_FROM_ALL)  # its symbols are tested
endif()

# The public headers in one folder, each including its neighbours: "core/error.h" becomes "error.h".
set(headers core/api.h core/data_type.h core/error.h core/host_device.h core/image_view.h core/stream.h
  preprocess/nv12.h preprocess/nv12_pixel.h network/network.h postprocess/frame_options.h engine/engine.h engine/rmbg.h)
set(flat ${PROJECT_BINARY_DIR}/include/rmbg)
foreach(header ${headers})
  get_filename_component(name ${header} NAME)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/${header})
  file(READ csrc/${header} text)
  string(REGEX REPLACE "#include \"[a-z]+/" "#include \"" text "${text}")
  file(CONFIGURE OUTPUT ${flat}/${name} CONTENT "${text}" @ONLY)
endforeach()
target_include_directories(rmbg INTERFACE
  $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/rmbg)
configure_package_config_file(cmake/rmbg-config.cmake.in ${PROJECT_BINARY_DIR}/rmbg-config.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rmbg-config-version.cmake COMPATIBILITY SameMinorVersion)
install(TARGETS rmbg EXPORT rmbg-targets COMPONENT library ${on_request}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library ${on_request}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library ${on_request}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT library ${on_request})
install(DIRECTORY ${flat} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library ${on_request})
install(EXPORT rmbg-targets NAMESPACE rmbg:: DESTINATION ${package} COMPONENT library ${on_request})
install(FILES ${PROJECT_BINARY_DIR}/rmbg-config.cmake ${PROJECT_BINARY_DIR}/rmbg-config-version.cmake
  DESTINATION ${package} COMPONENT library ${on_request})
