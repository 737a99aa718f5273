# find_package(saddle): pass -DSADDLE_TORCH_ROOT=<LibTorch>, the one saddle was built with.
include(${CMAKE_CURRENT_LIST_DIR}/SaddleDependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/saddle.cmake)
