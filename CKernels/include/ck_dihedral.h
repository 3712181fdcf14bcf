// The eight symmetries of the square, numbered as the paper's transforms 1...8 (Sohn et al. 2021, figure 7),
// from 0: 0 identity, 1 mirrored left to right; 2 rotated by 90 degrees, 3 the rotated image mirrored; 4 and
// 5 the same by 180, 6 and 7 by 270. Rotations are counter-clockwise, and the mirror follows them.
#ifndef CK_DIHEDRAL_H
#define CK_DIHEDRAL_H

#include "ck_portable.h"

// The source pixel of output pixel (row, column) in an image of the given side.
CK_INLINE void ck_dihedral_source(int transform, int side, int row, int column, int *from_row,
                                  int *from_column) {
    int last = side - 1;
    if (transform & 1) column = last - column;
    int r = row, c = column;
    switch (transform >> 1) {
    case 1: r = column, c = last - row; break;         // 90: out[row][column] = in[column][last - row]
    case 2: r = last - row, c = last - column; break;  // 180
    case 3: r = last - column, c = row; break;         // 270
    default: break;
    }
    *from_row = r;
    *from_column = c;
}

#endif
