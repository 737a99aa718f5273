// LZF, the compression that h5py brings itself and the makers of BigGAN's sets offer, as a filter of HDF5.
#pragma once

#include <cstdint>

namespace saddle {

inline constexpr int kLzf = 32000;  // as registered by The HDF Group

// Bytes written to `to`; -1 if `from` is damaged or makes more than `room`.
int64_t unpack_lzf(const uint8_t* from, int64_t bytes, uint8_t* to, int64_t room);
// So that HDF5 reads what LZF packed. It does not write it.
void register_lzf();

}  // namespace saddle
