# Third parties as imported targets: saddle::torch, saddle::mpi, saddle::hdf5, saddle::log and friends.
#
# LibTorch is the PyPI wheel (see cluster/setup.sh). Its own CMake package insists on a CUDA toolkit, so the
# targets are written here: saddle::torch needs no CUDA, saddle::torch_cuda exists only beside a toolkit.

set(SADDLE_TORCH_ROOT "${CMAKE_CURRENT_SOURCE_DIR}/.deps/site/torch" CACHE PATH "folder with include/ and lib/ of LibTorch")
if(NOT EXISTS ${SADDLE_TORCH_ROOT}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "no LibTorch in ${SADDLE_TORCH_ROOT}: run cluster/setup.sh, or pass -DSADDLE_TORCH_ROOT=<folder with include/ and lib/>")
endif()
file(STRINGS ${SADDLE_TORCH_ROOT}/include/torch/headeronly/version.h torch_version_lines
     REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX MATCHALL "[0-9]+" SADDLE_TORCH_VERSION "${torch_version_lines}")
list(JOIN SADDLE_TORCH_VERSION "." SADDLE_TORCH_VERSION)
if(SADDLE_TORCH_VERSION VERSION_LESS 2.8)
  message(FATAL_ERROR "LibTorch ${SADDLE_TORCH_VERSION} in ${SADDLE_TORCH_ROOT}: saddle needs 2.8 or newer (tested with 2.11.0)")
endif()
message(STATUS "LibTorch ${SADDLE_TORCH_VERSION} in ${SADDLE_TORCH_ROOT}")

# -idirafter: the wheel carries fmt 12, spdlog is built on the system's fmt.
set(saddle_torch_includes
    "SHELL:-idirafter ${SADDLE_TORCH_ROOT}/include"
    "SHELL:-idirafter ${SADDLE_TORCH_ROOT}/include/torch/csrc/api/include")
set(saddle_torch_rpath ${SADDLE_TORCH_ROOT}/lib ${SADDLE_TORCH_ROOT}/../nvidia/cu13/lib)
set(CMAKE_BUILD_RPATH ${saddle_torch_rpath})
set(CMAKE_INSTALL_RPATH ${saddle_torch_rpath})

add_library(saddle::torch INTERFACE IMPORTED GLOBAL)
target_compile_options(saddle::torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${saddle_torch_includes}>)
# libtorch_cpu needs libcudart and libcupti even where no GPU is; its own RPATH finds them.
target_link_options(saddle::torch INTERFACE -Wl,--allow-shlib-undefined)
target_link_libraries(saddle::torch INTERFACE ${SADDLE_TORCH_ROOT}/lib/libtorch_cpu.so ${SADDLE_TORCH_ROOT}/lib/libc10.so)

set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET GLOBAL libxxhash)
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET GLOBAL libdeflate)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET GLOBAL libzip)
pkg_check_modules(freetype REQUIRED IMPORTED_TARGET GLOBAL freetype2)
pkg_check_modules(gif REQUIRED IMPORTED_TARGET GLOBAL libgif)
pkg_check_modules(webp REQUIRED IMPORTED_TARGET GLOBAL libwebp libwebpdemux)
pkg_check_modules(tiff REQUIRED IMPORTED_TARGET GLOBAL libtiff-4>=4.5)
find_file(SADDLE_STB_FONT stb/stb_easy_font.h REQUIRED)
# The serial HDF5: Debian's OpenMPI flavour is not thread-safe.
pkg_check_modules(hdf5 REQUIRED IMPORTED_TARGET GLOBAL hdf5-serial)

find_package(CUDAToolkit QUIET)
if(CUDAToolkit_FOUND AND EXISTS ${SADDLE_TORCH_ROOT}/lib/libtorch_cuda.so)
  find_path(SADDLE_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
endif()
if(CUDAToolkit_FOUND AND SADDLE_NCCL_INCLUDE)
  set(SADDLE_CUDA ON)
  message(STATUS "CUDA ${CUDAToolkit_VERSION} and NCCL headers found: building the CUDA half")
  add_library(saddle::torch_cuda INTERFACE IMPORTED GLOBAL)
  target_include_directories(saddle::torch_cuda SYSTEM INTERFACE ${SADDLE_NCCL_INCLUDE} ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(saddle::torch_cuda INTERFACE saddle::torch ${SADDLE_TORCH_ROOT}/lib/libtorch_cuda.so
                        ${SADDLE_TORCH_ROOT}/lib/libc10_cuda.so)
else()
  set(SADDLE_CUDA OFF)
  message(STATUS "no CUDA toolkit with NCCL: building for CPU ranks only")
endif()
