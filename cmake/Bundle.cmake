# SPDX-License-Identifier: Apache-2.0
#
# cmake -DVERSION=V -DROOT=CHECKOUT -P Bundle.cmake
# Puts the distribution together: target/tokamak-V-linux-x86_64, and the same as .tar.gz. Maven has
# made the parts before (java/bundle/pom.xml).

set(most 60) # MiB
set(name tokamak-${VERSION}-linux-x86_64)
set(folder ${ROOT}/target/${name})
set(native ${ROOT}/java/backend/target/native)
file(REMOVE_RECURSE ${folder} ${folder}.tar.gz)

file(COPY ${ROOT}/tokamak ${ROOT}/LICENSE ${ROOT}/NOTICE ${ROOT}/java/bundle/check
          ${ROOT}/java/bundle/README.md ${ROOT}/java/bundle/target/runtime
     DESTINATION ${folder})
file(COPY ${ROOT}/java/cli/target/tokamak-cli-${VERSION}.jar ${ROOT}/java/bundle/target/lib
     DESTINATION ${folder}/app)
file(GLOB emulated ${native}/kernels/host/tokamak_cuda_kernel_tests)
file(COPY ${ROOT}/java/bundle/target/tokamak-bundle-${VERSION}.jar ${emulated} ${ROOT}/tests/golden
     DESTINATION ${folder}/checks REGEX "\\.py$|README\\.md$" EXCLUDE)
file(COPY ${ROOT}/tests/cases/ops ${ROOT}/tests/cases/train DESTINATION ${folder}/checks/cases)
file(COPY ${ROOT}/java/bundle/THIRD-PARTY.txt
          ${ROOT}/java/embedded/src/main/resources/dev/tokamak/embedded/tokamak-stories-data.txt
     DESTINATION ${folder}/licences)

# The device's parts are there where nvcc was.
if(EXISTS ${native}/kernels/tokamak_cuda.link)
  file(GLOB device ${native}/kernels/device/tokamak_cuda_device_tests)
  file(COPY ${device} DESTINATION ${folder}/checks)
  file(GLOB terms ${native}/kernels/NVIDIA-CUDA-EULA.txt)
  file(COPY ${terms} DESTINATION ${folder}/licences)
else()
  message("No nvcc: this distribution does not use GPUs")
endif()
file(RENAME ${folder}/checks/tokamak-bundle-${VERSION}.jar ${folder}/checks/tokamak-bundle.jar)
file(GLOB programs ${folder}/checks/tokamak_cuda_*)
if(programs)
  execute_process(COMMAND strip ${programs} COMMAND_ERROR_IS_FATAL ANY)
endif()

execute_process(COMMAND ${CMAKE_COMMAND} -E tar czf ${name}.tar.gz ${name}
                WORKING_DIRECTORY ${ROOT}/target COMMAND_ERROR_IS_FATAL ANY)
file(SIZE ${folder}.tar.gz bytes)
math(EXPR tenths "${bytes} * 10 / 1048576")
string(REGEX REPLACE "(.)$" ".\\1" size "${tenths}")
message("target/${name}.tar.gz: ${size} MiB (at most ${most})")
math(EXPR limit "${most} * 1048576")
if(bytes GREATER limit)
  message(FATAL_ERROR "the distribution is larger than ${most} MiB")
endif()
