// What the CUDA half offers the rest: one table of functions, in a shared module of its own
// (libsaddle_cuda.so). The program links only libtorch_cpu, starts fast, and runs where no CUDA library is
// installed; see load.h.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <functional>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace saddle {

// Captured work, which runs again at each replay, on the current stream and on the memory it was captured
// with.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual void replay() = 0;
};

struct CudaPlugin {
  // Devices this process may use; 0, without an error, where there is no driver or no device.
  int (*device_count)();
  // The driver's own words on why there is no device; empty when there is one.
  std::string (*why_no_device)();
  std::string (*device_name)(int device);
  // "CUDA 13.0, NCCL 2.28.9 (built with 2.28.9)"
  std::string (*versions)();
  // Makes `device` this thread's current device. From here on this thread works on a stream of its own: the
  // default one cannot be captured, nor can what waits for it.
  void (*use_device)(int device);
  // Collective, on the device in use. Connects the ranks by upstream's ProcessGroupNCCL, at once, so that a
  // bad network or two ranks on one device are errors here and not in the first step. `store` is one that all
  // ranks share. Dropping the backend closes it, or aborts it while an exception unwinds the stack.
  c10::intrusive_ptr<c10d::Backend> (*nccl)(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                            int device);
  // Calls `work` once and makes a graph of what it starts on this thread's current stream; nothing of that
  // runs yet. Throws what `work` threw, or why CUDA cannot capture it; the device is as before then.
  std::unique_ptr<Graph> (*capture)(const std::function<void()>& work);
  // Waits for all work on this thread's device.
  void (*synchronize)();
  // Most bytes that torch's tensors held on the device at once, since the last call or the beginning.
  int64_t (*peak_memory)(int device);
  // NVTX ranges, which Nsight Systems shows.
  void (*range_push)(const char* name);
  void (*range_pop)();
};

// The module's only symbol. The name carries the version of the table: raise it with every change.
inline constexpr const char* kCudaPluginSymbol = "saddle_cuda_plugin_3";

}  // namespace saddle
