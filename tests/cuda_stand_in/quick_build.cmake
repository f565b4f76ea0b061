# SPDX-License-Identifier: Apache-2.0
# Makes the build of tests/test_cuda_stand_in.py twice as fast; -DCMAKE_PROJECT_INCLUDE=THIS brings it in.
# A dozen files are compiled as one, for most of the time goes into the headers, those of pybind11 above all; and the
# bindings, which hold no loop over pixels, are not optimised.
function(rmbg_quick_build)
  set_target_properties(_core rmbg_cpu_network rmbg_cuda_stand_in rmbg_cuda_stand_in_test PROPERTIES
    UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
  # Files whose unnamed namespaces hold names of others. A new one that does not compile here belongs to them.
  set(alone
    _core:csrc/bindings/bind_pipeline.cpp
    rmbg_cpu_network:csrc/network/cpu/kernels_generic.cpp
    rmbg_cuda_stand_in:tests/cuda_stand_in/runtime/grid.cpp
    rmbg_cuda_stand_in:tests/cuda_stand_in/runtime/race.cpp
    rmbg_cuda_stand_in:tests/cuda_stand_in/runtime/shared.cpp)
  foreach(each IN LISTS alone)
    string(REPLACE ":" ";" each "${each}")
    list(GET each 0 target)
    list(GET each 1 file)
    set_source_files_properties("${CMAKE_SOURCE_DIR}/${file}" TARGET_DIRECTORY ${target}
      PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endforeach()
  target_compile_options(_core PRIVATE -O0)
endfunction()
cmake_language(DEFER CALL rmbg_quick_build)
