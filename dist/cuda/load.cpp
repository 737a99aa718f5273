#include "dist/cuda/load.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <exception>

#include "dist/trace.h"

// SADDLE_CUDA_MODULE and SADDLE_CUDA_BUILT_WITH are defined by dist/cuda/CMakeLists.txt, and only where the
// CUDA half is built.
#ifdef SADDLE_CUDA_MODULE
#define SADDLE_CUDA_IS_BUILT true
#else
#define SADDLE_CUDA_IS_BUILT false
#define SADDLE_CUDA_MODULE ""
#define SADDLE_CUDA_BUILT_WITH "none"
#endif

namespace saddle {
namespace {

struct Loaded {
  const CudaPlugin* plugin = nullptr;  // also with no device in sight
  bool usable = false;
  std::string why;
};

bool exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

bool device_file_exists() {
  return exists("/dev/nvidiactl") || exists("/dev/dxg");
}  // the latter under WSL

std::string folder_of_this_program() {
  std::array<char, PATH_MAX> path{};
  ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) return ".";
  std::string text(path.data(), static_cast<size_t>(length));
  return text.substr(0, text.rfind('/'));
}

// Installed (bin/ beside lib/), in the build folder, and where this build put it.
std::string find_module() {
  const std::string here = folder_of_this_program(), file = "libsaddle_cuda.so";
  for (const std::string& path :
       {here + "/../lib/" + file, here + "/lib/" + file, std::string(SADDLE_CUDA_MODULE)})
    if (exists(path)) return path;
  return SADDLE_CUDA_MODULE;
}

Loaded load() {
  const char* setting = std::getenv("SADDLE_CUDA_PLUGIN");
  const std::string wish = setting ? setting : "";
  if (wish == "0") return {.why = "switched off by SADDLE_CUDA_PLUGIN=0"};
  const bool is_path = !wish.empty() && wish != "1";
  if (!SADDLE_CUDA_IS_BUILT && !is_path)
    return {.why = "this saddle was built without CUDA (no toolkit with nccl.h was found)"};
  if (wish.empty() && !device_file_exists()) return {.why = "no NVIDIA device (/dev/nvidiactl is missing)"};
  const std::string path = is_path ? wish : find_module();
  // Global: torch's own libraries look each other's symbols up by name.
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!module) return {.why = std::string("the CUDA half does not load: ") + dlerror()};
  auto entry = reinterpret_cast<const CudaPlugin* (*)()>(dlsym(module, kCudaPluginSymbol));
  if (!entry) return {.why = path + " is of another version of saddle: build it again"};
  Loaded loaded;
  loaded.plugin = entry();
  loaded.usable = loaded.plugin->device_count() > 0;
  if (loaded.usable)
    trace::set_ranges({loaded.plugin->range_push, loaded.plugin->range_pop});
  else
    loaded.why = loaded.plugin->why_no_device();
  return loaded;
}

const Loaded& loaded() {
  static const Loaded once = [] {
    try {
      return load();
    } catch (const std::exception& error) {
      Loaded failed;
      failed.why = std::string("the CUDA half fails: ") + error.what();
      return failed;
    }
  }();
  return once;
}

}  // namespace

const CudaPlugin* cuda_plugin() {
  return loaded().usable ? loaded().plugin : nullptr;
}

const std::string& why_no_cuda() {
  return loaded().why;
}

std::string cuda_versions() {
  if (cuda_plugin()) return loaded().plugin->versions();
  if (!loaded().plugin && !SADDLE_CUDA_IS_BUILT) return "none: " + loaded().why;
  const std::string versions = loaded().plugin ? loaded().plugin->versions() : SADDLE_CUDA_BUILT_WITH;
  return versions + ", not in use: " + loaded().why;
}

}  // namespace saddle
