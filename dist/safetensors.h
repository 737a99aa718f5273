// The safetensors file format: 8 bytes of header length, a JSON header, then the tensors' bytes without gaps.
#pragma once

#include "dist/tensor.h"

#include <functional>
#include <map>
#include <string>

namespace saddle {

using Metadata = std::map<std::string, std::string>;

// Writes and fsyncs `path`. Returns its size. Exit::io with the path and the system's reason.
int64_t write_safetensors(const std::string& path, const std::map<std::string, torch::Tensor>& tensors,
                          const Metadata& metadata = {});
// The same to `path`.tmp, which is then renamed: `path` is never half a file.
int64_t publish_safetensors(const std::string& path, const std::map<std::string, torch::Tensor>& tensors,
                            const Metadata& metadata = {});
// Those of which `keep` is true (none: all); the others may be of any dtype. Exit::data with the path for a
// file that is not whole: lengths, overlaps, holes, dtypes and shapes are checked.
std::map<std::string, torch::Tensor> read_safetensors(
    const std::string& path, const std::function<bool(const std::string& name)>& keep = nullptr);

}  // namespace saddle
