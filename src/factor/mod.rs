//! Emission factors and global warming potentials: tables with validity, version and source.

mod catalogue;
mod gwp;
mod pick;
mod row;

pub use catalogue::{Catalogue, RowProblem};
pub use gwp::GwpSet;
pub use pick::{Slice, Vintages};
pub use row::{Basis, Denominator, Family, Gas, Row, Use};
