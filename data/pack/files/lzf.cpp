#include "data/pack/files/lzf.h"

#include <hdf5.h>

#include <algorithm>

namespace saddle {
namespace {

constexpr int64_t kMostRatio = 88;  // three bytes say "264 as before"

// HDF5's own contract: `buffer` is replaced by the unpacked bytes, 0 is a failure.
size_t filter(unsigned flags, size_t parameters, const unsigned* parameter, size_t bytes, size_t* room,
              void** buffer) {
  constexpr size_t kChunkBytes = 2;  // where h5py notes them
  if (!(flags & H5Z_FLAG_REVERSE) || parameters <= kChunkBytes) return 0;
  const int64_t most = parameter[kChunkBytes];
  if (most == 0 || most > (int64_t(bytes) + kMostRatio) * kMostRatio) return 0;
  void* out = H5allocate_memory(size_t(most), false);
  if (!out) return 0;
  const int64_t got =
      unpack_lzf(static_cast<const uint8_t*>(*buffer), int64_t(bytes), static_cast<uint8_t*>(out), most);
  if (got <= 0) {
    H5free_memory(out);
    return 0;
  }
  H5free_memory(*buffer);
  *buffer = out, *room = size_t(most);
  return size_t(got);
}

}  // namespace

int64_t unpack_lzf(const uint8_t* from, int64_t bytes, uint8_t* to, int64_t room) {
  int64_t in = 0, out = 0;
  while (in < bytes) {
    const int64_t control = from[in++];
    if (control < 32) {  // so many and one bytes as they are
      const int64_t count = control + 1;
      if (in + count > bytes || out + count > room) return -1;
      std::copy_n(from + in, count, to + out);
      in += count, out += count;
      continue;
    }
    int64_t count = (control >> 5) + 2;  // as before, so far back
    if (in + (count == 9 ? 2 : 1) > bytes) return -1;
    if (count == 9) count += from[in++];
    const int64_t back = ((control & 31) << 8 | from[in++]) + 1;
    if (back > out || out + count > room) return -1;
    for (const int64_t end = out + count; out < end; ++out) to[out] = to[out - back];  // may overlap
  }
  return out;
}

void register_lzf() {
  static const H5Z_class2_t description{H5Z_CLASS_T_VERS, kLzf, 0, 1, "lzf", nullptr, nullptr, filter};
  static const bool once = H5Zregister(&description) >= 0;
  static_cast<void>(once);
}

}  // namespace saddle
