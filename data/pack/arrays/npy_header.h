// The header of a NumPy array file (numpy.lib.format, versions 1 to 3): a magic string, a version, a length,
// and a Python literal {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28)}.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/pack/arrays/arrays.h"

namespace saddle {

struct NpyHeader {
  std::string descr;               // as it is written there
  std::optional<Element> element;  // nothing if it is not of numbers that are known
  bool fortran = false;            // first axis fastest
  std::vector<int64_t> shape;
  int64_t bytes = 0;  // of the header: where the data begin
};

// `read` gives the next bytes of the file or throws. Exit::data if they are no such header.
NpyHeader read_npy_header(const std::function<void(char* to, int64_t bytes)>& read, const std::string& where);

// The texts of types S and U, [N] or [N, 1], which follow the header, as labels; nothing of other arrays.
// `bytes`: that are there. Exit::data if they are others than the header says.
std::optional<Array> read_npy_texts(const NpyHeader& header, int64_t bytes,
                                    const std::function<void(char* to, int64_t bytes)>& read,
                                    const std::string& name, const std::string& where);
// Why an array that is none of numbers is left out.
std::string why_no_numbers(const NpyHeader& header);

}  // namespace saddle
