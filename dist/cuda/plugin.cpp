// The CUDA half: the only file that needs the CUDA toolkit and nccl.h. Linked to all of LibTorch, so that
// loading it is what gives the program CUDA.
#include "dist/cuda/plugin.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>
#include <nvtx3/nvToolsExt.h>

#include <exception>
#include <torch/csrc/distributed/c10d/NCCLUtils.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace saddle {
namespace {

int device_count() {
  return c10::cuda::device_count();
}

std::string why_no_device() {
  try {
    c10::cuda::device_count_ensure_non_zero();
    return "";
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
}

std::string device_name(int device) {
  cudaDeviceProp properties{};
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  return properties.name;
}

std::string versions() {
  int cuda = 0;
  cudaRuntimeGetVersion(&cuda);  // unchecked: works without a driver, where torch's check of it does not
  return fmt::format("CUDA {}.{}, NCCL {} (built with {}.{}.{})", cuda / 1000, cuda % 1000 / 10,
                     c10d::getNcclVersion(), NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH);
}

// Upstream's destructor leaves the communicators open and warns; this one closes them. While an exception
// unwinds, other ranks may sit in a collective that this rank will never join: then it aborts instead of
// waiting for them.
class Nccl final : public c10d::ProcessGroupNCCL {
 public:
  using ProcessGroupNCCL::ProcessGroupNCCL;
  ~Nccl() override {
    try {
      if (std::uncaught_exceptions() > 0)
        abort();
      else
        shutdown();
    } catch (const std::exception& error) {
      TORCH_WARN("NCCL did not close cleanly: ", error.what());
    }
  }
};

void leave_default_stream(c10::DeviceIndex device) {
  if (c10::cuda::getCurrentCUDAStream(device) != c10::cuda::getDefaultCUDAStream(device)) return;
  c10::cuda::device_synchronize();
  c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device));
}

void use_device(int device) {
  TORCH_CHECK(device >= 0 && device < device_count(), "no CUDA device ", device, ": ", device_count(),
              " in sight");
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
  leave_default_stream(static_cast<c10::DeviceIndex>(device));
}

c10::intrusive_ptr<c10d::Backend> nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                       int device) {
  auto backend = c10::make_intrusive<Nccl>(c10::make_intrusive<c10d::PrefixStore>("nccl", store), rank, size);
  at::Device where(at::kCUDA, static_cast<c10::DeviceIndex>(device));
  backend->setBoundDeviceId(where);
  backend->eagerConnectSingleDevice(where);
  return backend;
}

// Upstream's graph. Threads that read data or watch NCCL go on calling CUDA meanwhile, hence thread-local.
class CapturedGraph final : public Graph {
 public:
  explicit CapturedGraph(const std::function<void()>& work) {
    graph_.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      abandon();
      throw;
    }
    try {
      graph_.capture_end();
    } catch (...) {
      release();
      throw;
    }
  }
  void replay() override { graph_.replay(); }

 private:
  void abandon() noexcept {
    try {
      graph_.capture_end();
    } catch (const std::exception&) {  // the cause is on its way
      release();
    }
  }
  // What upstream's capture_end leaves behind where it throws: CUDA's last error and, if it came no further,
  // the pool.
  void release() noexcept {
    cudaGetLastError();
    try {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device_, pool_);
      c10::cuda::CUDACachingAllocator::releasePool(device_, pool_);
    } catch (const std::exception&) {  // it came so far
    }
  }

  const c10::DeviceIndex device_ = c10::cuda::current_device();
  const at::cuda::MempoolId_t pool_ = at::cuda::graph_pool_handle();
  at::cuda::CUDAGraph graph_;
};

std::unique_ptr<Graph> capture(const std::function<void()>& work) {
  return std::make_unique<CapturedGraph>(work);
}

int64_t peak_memory(int device) {
  using c10::CachingAllocator::StatType;
  const auto index = static_cast<c10::DeviceIndex>(device);
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index);
  c10::cuda::CUDACachingAllocator::resetPeakStats(index);
  return stats.allocated_bytes[static_cast<size_t>(StatType::AGGREGATE)].peak;
}

void range_push(const char* name) {
  nvtxRangePushA(name);
}

void range_pop() {
  nvtxRangePop();
}

constexpr CudaPlugin kPlugin{
    .device_count = device_count,
    .why_no_device = why_no_device,
    .device_name = device_name,
    .versions = versions,
    .use_device = use_device,
    .nccl = nccl,
    .capture = capture,
    .synchronize = c10::cuda::device_synchronize,
    .peak_memory = peak_memory,
    .range_push = range_push,
    .range_pop = range_pop,
};

}  // namespace
}  // namespace saddle

extern "C" __attribute__((visibility("default"))) const saddle::CudaPlugin* saddle_cuda_plugin_3() {
  return &saddle::kPlugin;
}
