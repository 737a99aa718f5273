// Labels of HDF5 files that are no numbers: texts, and enumerations of names.
#pragma once

#include <optional>
#include <string>

#include "data/pack/arrays/arrays.h"
#include "data/store/hdf5.h"

namespace saddle {

bool is_bool(hid_t type);  // as h5py writes it: FALSE and TRUE of a byte

// What a type names its values by; nothing if it holds numbers or bools.
std::optional<std::string> kind_of_names(hid_t type);  // "texts", "an enumeration"

// A dataset [N] or [N, 1] of such a type as labels; nothing of other shapes. Exit::data if it is damaged.
// `file_bytes`: of the whole file, which bounds what may be in it.
std::optional<Array> read_hdf5_names(hid_t file, const std::string& name, const std::string& where,
                                     int64_t file_bytes);

}  // namespace saddle
