#include "data/pack/arrays/array_values.h"

#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "dist/error.h"

namespace saddle {
namespace {

void swap_bytes(char* data, int64_t count, int64_t bytes) {
  for (int64_t i = 0; i < count; ++i) std::reverse(data + i * bytes, data + (i + 1) * bytes);
}

void require_all(const torch::Tensor& fits, const Array& array, int64_t first, const std::string& what) {
  const torch::Tensor rows = fits.reshape({fits.size(0), -1}).all(1);
  if (rows.all().item<bool>()) return;
  fail(Exit::data, "{}: sample {}: holds numbers {}", array.where,
       first + rows.logical_not().to(torch::kInt).argmax().item<int64_t>(), what);
}

}  // namespace

torch::ScalarType stored_dtype(const Element& element) {
  struct Row {
    char kind;
    int64_t bytes;
    torch::ScalarType dtype;
  };
  static constexpr std::array<Row, 12> kRows{{{'u', 1, torch::kByte},
                                              {'u', 2, torch::kUInt16},
                                              {'u', 4, torch::kUInt32},
                                              {'u', 8, torch::kUInt64},
                                              {'i', 1, torch::kChar},
                                              {'i', 2, torch::kShort},
                                              {'i', 4, torch::kInt},
                                              {'i', 8, torch::kLong},
                                              {'f', 2, torch::kHalf},
                                              {'f', 4, torch::kFloat},
                                              {'f', 8, torch::kDouble},
                                              {'b', 1, torch::kByte}}};
  for (const Row& row : kRows)
    if (row.kind == element.kind && row.bytes == element.bytes) return row.dtype;
  fail(Exit::bug, "no dtype for elements {}{}", element.kind, element.bytes);
}

bool is_integer(const Array& array) {
  return array.element.kind != 'f';
}

torch::Tensor items(const Array& array, int64_t first, int64_t count) {
  std::vector<int64_t> shape = array.shape;
  shape[0] = count;
  torch::Tensor out = torch::empty(shape, stored_dtype(array.element));
  char* to = static_cast<char*>(out.data_ptr());
  array.read(first, count, to);
  if (array.element.swapped) swap_bytes(to, out.numel(), array.element.bytes);
  return out;
}

torch::Tensor converted(const Array& array, const torch::Tensor& stored, torch::ScalarType dtype,
                        int64_t first) {
  torch::Tensor out = stored.to(dtype);
  if (array.element.kind == 'u' && array.element.bytes == 8)
    require_all(out >= 0, array, first, "above 2^63, which int64 cannot");
  if (torch::isFloatingType(dtype))
    require_all(torch::isfinite(out), array, first,
                dtype == torch::kFloat ? "that are not finite as float32" : "that are not finite");
  return out;
}

torch::Tensor wide(const Array& array, const torch::Tensor& stored, int64_t first) {
  return converted(array, stored, is_integer(array) ? torch::kLong : torch::kDouble, first);
}

ValueRange range_of(const Array& array, double enough) {
  const int64_t item = c10::multiply_integers(array.shape) / array.shape[0] * array.element.bytes;
  const int64_t most = std::max<int64_t>(1, (1 << 20) / item);
  ValueRange found{.low = INFINITY, .high = -INFINITY};
  for (int64_t first = 0; first < array.shape[0] && found.high <= enough; first += most) try {
      const torch::Tensor stored = items(array, first, std::min(most, array.shape[0] - first));
      const torch::Tensor values =
          (is_integer(array) ? wide(array, stored, first) : stored).to(torch::kDouble);
      const double* all = values.const_data_ptr<double>();
      for (int64_t i = 0; i < values.numel(); ++i)
        if (std::isfinite(all[i]))
          found.low = std::min(found.low, all[i]), found.high = std::max(found.high, all[i]);
    } catch (const Error& error) {
      if (error.kind != Exit::data) throw;
      break;
    }
  return found;
}

}  // namespace saddle
