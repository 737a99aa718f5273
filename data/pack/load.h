// Pictures of a folder or archive, read no further than they need and decoded only if they are no larger than
// a sample may be.
#pragma once

#include "data/pack/files/files.h"
#include "data/view/picture.h"

namespace saddle {

// Of all below: Exit::data names a file that is no picture, is damaged, has far more bytes than its pixels
// could fill, or whose pixels take more than `most` bytes. Thread-safe.

// Of its file only the head is read if that suffices.
PictureInfo info_of(const Files& files, size_t i, Exif exif, int64_t most);
PictureInfo whole_info_of(const Files& files, size_t i, Exif exif, int64_t most);  // EXIF may follow pixels
torch::Tensor load_picture(const Files& files, size_t i, Exif exif, int64_t most);
torch::Tensor load_mask(const Files& files, size_t i, Exif exif, int64_t most);

}  // namespace saddle
