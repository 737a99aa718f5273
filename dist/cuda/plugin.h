// What the CUDA half offers the rest: one table of functions, in a shared module of its own
// (libsaddle_cuda.so). The program links only libtorch_cpu, starts fast, and runs where no CUDA library is
// installed; see load.h.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace saddle {

struct CudaPlugin {
  // Devices this process may use; 0, without an error, where there is no driver or no device.
  int (*device_count)();
  // The driver's own words on why there is no device; empty when there is one.
  std::string (*why_no_device)();
  std::string (*device_name)(int device);
  // "CUDA 13.0, NCCL 2.28.9 (built with 2.28.9)"
  std::string (*versions)();
  // Collective. Makes `device` this thread's current device and connects the ranks by upstream's
  // ProcessGroupNCCL, at once, so that a bad network or two ranks on one device are errors here and not in
  // the first step. `store` is one that all ranks share. Dropping the backend closes it, or aborts it while
  // an exception unwinds the stack.
  c10::intrusive_ptr<c10d::Backend> (*nccl)(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                            int device);
};

// The module's only symbol. The name carries the version of the table: raise it with every change.
inline constexpr const char* kCudaPluginSymbol = "saddle_cuda_plugin_1";

}  // namespace saddle
