// One importer a file, in data/pack/<name>.cpp; importers() asks them in the order of its table.
#pragma once

#include "data/pack/source.h"

namespace saddle {

extern const Importer kCifar;
extern const Importer kCsv;
extern const Importer kGlyph10;
extern const Importer kGlyphs;
extern const Importer kHdf5;
extern const Importer kIdx;
extern const Importer kMixtures;
extern const Importer kNifti;
extern const Importer kNpy;
extern const Importer kPairs;
extern const Importer kPictures;
extern const Importer kSmiles;
extern const Importer kStyleGan;
extern const Importer kText;
extern const Importer kVideo;

}  // namespace saddle
