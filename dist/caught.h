// Any exception as an error a user can act on.
#pragma once

#include "dist/error.h"

namespace saddle {

// The exception that is being handled, for a catch (...): what the machine refused (files, memory, threads)
// is Exit::io, JSON that nobody asked for its types Exit::data, what nobody foresaw Exit::bug. One line,
// unless it is an Error, which has the lines that it has.
Error caught();

}  // namespace saddle
