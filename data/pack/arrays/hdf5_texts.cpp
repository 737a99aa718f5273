#include "data/pack/arrays/hdf5_texts.h"

#include <strings.h>

#include <cstring>
#include <map>

#include "data/pack/arrays/array_labels.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

using hdf5::Handle;

struct NamedSet {
  std::string where;
  int64_t file_bytes = 0, count = 0;
  Handle set = {}, space = {}, type = {};  // the type in memory

  hid_t check(hid_t result) const {
    require(result >= 0, Exit::data, "{}: damaged: {}", where, hdf5::reason());
    return result;
  }

  std::vector<char> read() const {
    const auto bytes = int64_t(H5Tget_size(type));
    checked_bytes({count}, bytes, std::max(most_inflated(file_bytes), file_bytes), where);
    std::vector<char> out(size_t(count * bytes));
    check(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()));
    return out;
  }
};

std::vector<std::string> fixed_texts(const NamedSet& in) {
  const std::vector<char> all = in.read();
  const size_t width = H5Tget_size(in.type);
  const bool spaces = H5Tget_strpad(in.type) == H5T_STR_SPACEPAD;
  std::vector<std::string> out;
  for (size_t at = 0; at < all.size(); at += width) {
    std::string text(&all[at], strnlen(&all[at], width));
    while (spaces && text.ends_with(' ')) text.pop_back();
    out.push_back(std::move(text));
  }
  return out;
}

std::vector<std::string> variable_texts(const NamedSet& in) {
  std::vector<char> all = in.read();
  std::vector<std::string> out;
  for (size_t at = 0; at < all.size(); at += sizeof(char*)) {
    const char* text = nullptr;
    std::memcpy(&text, &all[at], sizeof text);
    out.emplace_back(text ? text : "");
  }
  H5Dvlen_reclaim(in.type, in.space, H5P_DEFAULT, all.data());
  return out;
}

// Of an integer in the machine's order.
int64_t value_of(const char* from, size_t bytes, bool is_signed) {
  uint64_t out = 0;
  std::memcpy(&out, from, bytes);  // little-endian machines only, as everywhere here
  const unsigned unused = 64 - 8 * unsigned(bytes);
  return is_signed ? int64_t(out << unused) >> unused : int64_t(out);
}

// The names are numbered in the order of their values.
Array enumerated(const NamedSet& in, const std::string& name) {
  const size_t width = H5Tget_size(in.type);
  require(width <= sizeof(int64_t), Exit::data, "{}: an enumeration of {} bytes a value", in.where, width);
  const bool is_signed = H5Tget_sign(Handle(H5Tget_super(in.type), H5Tclose)) == H5T_SGN_2;
  std::map<int64_t, std::string> members;
  for (int k = 0; k < H5Tget_nmembers(in.type); ++k) {
    char value[sizeof(int64_t)] = "";
    in.check(H5Tget_member_value(in.type, unsigned(k), value));
    char* text = H5Tget_member_name(in.type, unsigned(k));
    if (text) members[value_of(value, width, is_signed)] = to_utf8(text);
    H5free_memory(text);
  }
  const std::vector<char> all = in.read();
  std::vector<std::string> names;
  std::map<int64_t, int32_t> number;
  for (const auto& [value, text] : members) number[value] = int32_t(names.size()), names.push_back(text);
  std::vector<int32_t> labels;
  for (size_t at = 0; at < all.size(); at += width) {
    const auto found = number.find(value_of(&all[at], width, is_signed));
    require(found != number.end(), Exit::data, "{}: sample {}: expected a value of its enumeration, found {}",
            in.where, at / width, value_of(&all[at], width, is_signed));
    labels.push_back(found->second);
  }
  return numbered_labels(name, in.where, std::move(labels), std::move(names));
}

}  // namespace

bool is_bool(hid_t type) {
  if (H5Tget_class(type) != H5T_ENUM || H5Tget_size(type) != 1 || H5Tget_nmembers(type) != 2) return false;
  const auto is = [&](unsigned member, const char* text) {
    char* name = H5Tget_member_name(type, member);
    const bool same = name && strcasecmp(name, text) == 0;
    H5free_memory(name);
    return same;
  };
  return (is(0, "FALSE") && is(1, "TRUE")) || (is(0, "TRUE") && is(1, "FALSE"));
}

std::optional<std::string> kind_of_names(hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_STRING) return "texts";
  if (kind == H5T_ENUM && !is_bool(type)) return "an enumeration";
  return {};
}

std::optional<Array> read_hdf5_names(hid_t file, const std::string& name, const std::string& where,
                                     int64_t file_bytes) {
  NamedSet in{.where = where, .file_bytes = file_bytes};
  in.set = Handle(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose);
  in.check(in.set);
  in.space = Handle(in.check(H5Dget_space(in.set)), H5Sclose);
  const Handle type(in.check(H5Dget_type(in.set)), H5Tclose);
  const int axes = H5Sget_simple_extent_ndims(in.space);
  hsize_t extents[2] = {0, 1};
  if (!kind_of_names(type) || axes < 1 || axes > 2) return {};
  in.check(H5Sget_simple_extent_dims(in.space, extents, nullptr));
  if (extents[0] < 1 || extents[1] != 1) return {};
  in.count = int64_t(std::min<hsize_t>(extents[0], INT64_MAX));
  const bool texts = H5Tget_class(type) == H5T_STRING;
  in.type = Handle(in.check(texts ? H5Tcopy(type) : H5Tget_native_type(type, H5T_DIR_ASCEND)), H5Tclose);
  if (!texts) return enumerated(in, name);
  std::vector<std::string> all = H5Tis_variable_str(in.type) > 0 ? variable_texts(in) : fixed_texts(in);
  for (std::string& each : all) each = to_utf8(each);
  return text_labels(name, where, all);
}

}  // namespace saddle
