# SPDX-License-Identifier: Apache-2.0
message(STATUS "rmbg-trt ${PROJECT_VERSION}")
message(STATUS "  compiler        ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE}")
message(STATUS "  CUDA            ${RMBG_WITH_CUDA}: ${RMBG_CUDA_NOTE}")
if(RMBG_WITH_CUDA)
  message(STATUS "  architectures   ${RMBG_CUDA_ARCHITECTURES}")
endif()
message(STATUS "  Python module   ${RMBG_PYTHON}")
message(STATUS "  targets of tests ${RMBG_TESTS}")
