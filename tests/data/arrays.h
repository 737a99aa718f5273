// What the tests of array importers share: files that NumPy and h5py made (tests/peers/arrays.py), whose
// number k is k modulo 251, and all samples of a source as one tensor.
#pragma once

#include <string>
#include <vector>

#include "data/pack/pack.h"

namespace saddle::test {

inline std::string golden(const std::string& name) {
  return SADDLE_SOURCE_DIR "/tests/peers/goldens/arrays/" + name;
}

inline Source open(const std::string& path, const std::string& axes = "auto") {
  return open_source({.source = path, .out = "", .axes = axes});
}

inline torch::Tensor all(const Source& source, const std::string& field) {
  std::vector<torch::Tensor> rows;
  for (int64_t i = 0; i < source.count; ++i) rows.push_back(source.sample(i)[field]);
  return torch::cat(rows);
}

inline torch::Tensor counted(const std::vector<int64_t>& shape) {
  return torch::arange(c10::multiply_integers(shape)).remainder(251).reshape(shape);
}

inline bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.to(torch::kDouble).equal(b.to(torch::kDouble));
}

// The bytes of a .npy file.
inline std::string npy(const std::string& descr, const std::string& shape, const std::string& data) {
  std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
  return std::string("\x93NUMPY\x01\x00", 8) + char(text.size()) + '\0' + text + data;
}

// Numbers 0, 1, ... of one type.
template <class T>
std::string numbers(int64_t count) {
  std::string out;
  for (int64_t i = 0; i < count; ++i) {
    const T value = T(i);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return out;
}

template <class T>
std::string values(const std::vector<double>& list) {
  std::string out;
  for (const double each : list) {
    const T value = T(each);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return out;
}

}  // namespace saddle::test
