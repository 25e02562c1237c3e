# SPDX-License-Identifier: Apache-2.0
#
# Where nvcc is, and for which GPUs it compiles.
#   -DTOKAMAK_CUDA=auto       builds the device library where nvcc works (default)
#                  required   ends with an error where it does not
#                  off        never
#   -DTOKAMAK_CUDA_ARCHITECTURES=quick     sm_90 alone: minutes become seconds (default)
#                                release   what a distribution carries

set(TOKAMAK_CUDA auto CACHE STRING "auto, required or off")
set(TOKAMAK_CUDA_ARCHITECTURES quick CACHE STRING "quick or release")

set(TOKAMAK_CUDA_QUICK 90-real)
# 8.0 is the first with asynchronous copies and the bfloat16 products that the kernels use; code of
# 8.0 would run on 8.6 and 8.9, and 8.9's own is faster. What has no code of its own (10.0, 12.1)
# compiles the PTX at load.
set(TOKAMAK_CUDA_RELEASE 80-real 86-real 89-real 90-real 120-real 90-virtual)

# Sets TOKAMAK_NVCC to whether CUDA is a language of this build; says so in one line.
macro(tokamak_enable_cuda)
  set(TOKAMAK_NVCC FALSE)
  if(TOKAMAK_CUDA STREQUAL "off")
    message(STATUS "CUDA: off, the kernels are built for emulation only")
  else()
    # nvcc is often beside PATH.
    find_program(TOKAMAK_NVCC_PROGRAM nvcc HINTS ENV CUDACXX PATHS /usr/local/cuda/bin
                                                                   /opt/cuda/bin)
    if(TOKAMAK_NVCC_PROGRAM AND NOT DEFINED CMAKE_CUDA_COMPILER)
      set(CMAKE_CUDA_COMPILER ${TOKAMAK_NVCC_PROGRAM})
    endif()
    if(TOKAMAK_CUDA_ARCHITECTURES STREQUAL "release")
      set(CMAKE_CUDA_ARCHITECTURES ${TOKAMAK_CUDA_RELEASE})
    elseif(TOKAMAK_CUDA_ARCHITECTURES STREQUAL "quick")
      set(CMAKE_CUDA_ARCHITECTURES ${TOKAMAK_CUDA_QUICK})
    else()
      set(CMAKE_CUDA_ARCHITECTURES ${TOKAMAK_CUDA_ARCHITECTURES})
    endif()
    if(TOKAMAK_NVCC_PROGRAM)
      include(CheckLanguage)
      check_language(CUDA)
    endif()
    if(CMAKE_CUDA_COMPILER)
      enable_language(CUDA)
      set(TOKAMAK_NVCC TRUE)
      message(STATUS "CUDA: nvcc ${CMAKE_CUDA_COMPILER_VERSION} builds the device library for "
                     "${CMAKE_CUDA_ARCHITECTURES}")
    else()
      if(TOKAMAK_NVCC_PROGRAM)
        set(reason "${TOKAMAK_NVCC_PROGRAM} does not work with ${CMAKE_CXX_COMPILER}")
      else()
        set(reason "nvcc is not on PATH or in /usr/local/cuda/bin")
      endif()
      if(TOKAMAK_CUDA STREQUAL "required")
        message(FATAL_ERROR "CUDA: ${reason}; install the CUDA toolkit 13.0 or later")
      endif()
      message(STATUS "CUDA: ${reason}: no device library is built, GPUs will not be used "
                     "(install the CUDA toolkit 13.0 or later to have them)")
    endif()
  endif()
endmacro()
