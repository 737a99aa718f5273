// Finds and loads the CUDA half at run time. Part of every build, also of one without CUDA.
#pragma once

#include <string>

#include "dist/cuda/plugin.h"

namespace saddle {

// The CUDA half, loaded at the first call; null when this process cannot use a GPU. First called before
// anything asks torch about CUDA (torch looks for its CUDA half once). Thread-safe; never throws.
// SADDLE_CUDA_PLUGIN: 0 never loads, 1 loads even where no NVIDIA device file exists, else the module's path.
const CudaPlugin* cuda_plugin();

// Why cuda_plugin() is null, for a user; empty when it is not.
const std::string& why_no_cuda();

// For --version: the versions in use if loaded, else those built with and why it is not loaded.
std::string cuda_versions();

}  // namespace saddle
