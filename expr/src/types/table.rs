//! The types that are built in: rows of PostgreSQL 15's `pg_type`, by its OIDs. One row is all that a new one costs, and
//! one in [`crate::codec`] that reads and writes its values; the type of its arrays comes with it.

use super::Alignment::{self, Char, Double, Int, Short};
use super::Category::{
    self, Array, BitString, Boolean, DateTime, Enumerated, Internal, Network, Numeric, Pseudo, Range, String,
    Timespan, Unknown, User,
};
use super::{Form, Modifiers, Order, TypeKind, TypeRow};

/// What stands for an OID that no type has.
pub(super) const UNDEFINED: TypeRow = TypeRow {
    id: TypeKind::built_in(0),
    name: "-",
    display_name: "???",
    category: Unknown,
    is_preferred: false,
    length: -1,
    alignment: Int,
    form: Form::None,
    order: Order::None,
    class: "",
    hashes: true,
    modifiers: Modifiers::None,
    array: None,
    element: None,
    subtype: None,
    ranges: None,
    extension: None,
};

/// Further names, of SQL's grammar.
pub(super) const SPELLINGS: &[(&str, TypeKind)] = &[
    ("char", TypeKind::Bpchar),
    ("\"char\"", TypeKind::QuotedChar),
    ("int", TypeKind::Int4),
    ("decimal", TypeKind::Numeric),
    ("dec", TypeKind::Numeric),
    ("float", TypeKind::Float8),
];

const fn row(
    id: TypeKind,
    name: &'static str,
    display_name: &'static str,
    class: &'static str,
    category: Category,
) -> TypeRow {
    TypeRow {
        id,
        name,
        display_name,
        category,
        is_preferred: false,
        length: -1,
        alignment: Int,
        form: Form::None,
        order: Order::None,
        class,
        hashes: true,
        modifiers: Modifiers::None,
        array: None,
        element: None,
        subtype: None,
        ranges: None,
        extension: None,
    }
}

impl TypeRow {
    /// Values of this form, with their natural order.
    const fn of(mut self, form: Form) -> Self {
        self.form = form;
        self.order = Order::Natural;
        self
    }

    const fn ordered(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// It has the operator class of another type.
    const fn classed(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    /// Its equality has no hash.
    const fn unhashed(mut self) -> Self {
        self.hashes = false;
        self
    }

    const fn fixed(mut self, length: i16, alignment: Alignment) -> Self {
        self.length = length;
        self.alignment = alignment;
        self
    }

    const fn aligned(mut self, alignment: Alignment) -> Self {
        self.alignment = alignment;
        self
    }

    const fn preferred(mut self) -> Self {
        self.is_preferred = true;
        self
    }

    /// It is an array of these.
    const fn holding(mut self, element: TypeKind) -> Self {
        self.element = Some(element);
        self
    }

    /// It is a range between two of these.
    const fn bounded(mut self, subtype: TypeKind) -> Self {
        self.subtype = Some(subtype);
        self.class = "range_ops";
        self
    }

    /// It is a multirange of these.
    const fn gathering(mut self, ranges: TypeKind) -> Self {
        self.ranges = Some(ranges);
        self.class = "multirange_ops";
        self
    }

    /// It comes with an extension.
    const fn of_extension(mut self, extension: &'static str) -> Self {
        self.extension = Some(extension);
        self
    }

    const fn modified(mut self, modifiers: Modifiers) -> Self {
        self.modifiers = modifiers;
        self
    }
}

/// A type as it is written below, with the type of its arrays.
struct Entry {
    row: TypeRow,
    array: Option<TypeRow>,
}

impl Entry {
    const fn with_array(self, id: TypeKind, name: &'static str, display_name: &'static str) -> Self {
        let mut element = self.row;
        element.array = Some(id);
        let alignment = match element.alignment {
            Double => Double,
            _ => Int,
        };
        let mut array = row(id, name, display_name, "array_ops", Array).of(Form::Array).aligned(alignment);
        array.element = Some(element.id);
        array.modifiers = element.modifiers;
        array.extension = element.extension;
        array.order = match element.order {
            unordered @ (Order::Hashed | Order::None) => unordered,
            Order::Natural | Order::BlankPadded => Order::Natural,
        };
        Self { row: element, array: Some(array) }
    }
}

/// The constants of types, and the rows: `Name [NameArray] = oid [array's oid], names, category, columns`.
macro_rules! types {
    ($($(#[$doc:meta])* $kind:ident $([$array:ident])? = $oid:literal $([$array_oid:literal])?,
       $name:literal, $display:literal, $category:ident $(, $column:ident($($value:expr),*))*;)*) => {
        #[allow(non_upper_case_globals, reason = "they are spelled as what they are: names of types")]
        impl TypeKind {
            $($(#[$doc])* pub const $kind: TypeKind = TypeKind::built_in($oid);
              $(#[doc = concat!("Arrays of ", $display, ".")] pub const $array: TypeKind = TypeKind::built_in($array_oid);)?)*
        }

        /// The types by their bare names, for tables that name many.
        #[allow(non_upper_case_globals, reason = "they are spelled as what they are: names of types")]
        pub mod kinds {
            use super::TypeKind;
            $($(#[$doc])* pub const $kind: TypeKind = TypeKind::$kind;
              $(#[doc = concat!("Arrays of ", $display, ".")] pub const $array: TypeKind = TypeKind::$array;)?)*
        }

        const ENTRIES: &[Entry] = &[$(
            Entry {
                row: row(TypeKind::$kind, $name, $display, concat!($name, "_ops"), $category)$(.$column($($value),*))*,
                array: None,
            }$(.with_array(TypeKind::$array, concat!("_", $name), concat!($display, "[]")))?,
        )*];
    };
}

types! {
    /// What every enum is like: a value is the key of its label, whose bytes order as the labels do.
    Enum [EnumArray] = 2 [3], "enum", "enum", Enumerated, of(Form::Bytea), fixed(4, Int);
    /// What every range that was made is like: see [`crate::extent`].
    MadeRange [MadeRangeArray] = 4 [5], "range", "range", Range, of(Form::Keyed);
    /// boolean
    Bool [BoolArray] = 16 [1000], "bool", "boolean", Boolean, of(Form::Bool), fixed(1, Char), preferred();
    /// bytea
    Bytea [ByteaArray] = 17 [1001], "bytea", "bytea", User, of(Form::Bytea);
    /// "char", one byte, of system catalogs
    QuotedChar [QuotedCharArray] = 18 [1002], "char", "\"char\"", Internal, of(Form::Text), fixed(1, Char);
    /// name, of system catalogs
    Name [NameArray] = 19 [1003], "name", "name", String, of(Form::Text), fixed(64, Char);
    /// bigint
    Int8 [Int8Array] = 20 [1016], "int8", "bigint", Numeric, of(Form::Int8), fixed(8, Double);
    /// smallint
    Int2 [Int2Array] = 21 [1005], "int2", "smallint", Numeric, of(Form::Int2), fixed(2, Short);
    /// int2vector, of system catalogs: an array that counts from 0
    Int2Vector = 22, "int2vector", "int2vector", Array, of(Form::Array), classed("array_ops"), holding(TypeKind::Int2);
    /// integer
    Int4 [Int4Array] = 23 [1007], "int4", "integer", Numeric, of(Form::Int4), fixed(4, Int);
    /// regproc: the OID of a function, printed as its name
    Regproc [RegprocArray] = 24 [1008], "regproc", "regproc", Numeric, of(Form::Oid), classed("oid_ops"), fixed(4, Int);
    /// text
    Text [TextArray] = 25 [1009], "text", "text", String, of(Form::Text), preferred();
    /// oid, of system catalogs
    Oid [OidArray] = 26 [1028], "oid", "oid", Numeric, of(Form::Oid), fixed(4, Int), preferred();
    /// xid: see [`crate::xid`]
    Xid [XidArray] = 28 [1011], "xid", "xid", User, of(Form::Oid), ordered(Order::Hashed), fixed(4, Int);
    /// oidvector, of system catalogs: an array that counts from 0
    OidVector = 30, "oidvector", "oidvector", Array, of(Form::Array), holding(TypeKind::Oid);
    /// json: text that is a document
    Json [JsonArray] = 114 [199], "json", "json", User, of(Form::Text), ordered(Order::None);
    /// cidr: see [`crate::network`]
    Cidr [CidrArray] = 650 [651], "cidr", "cidr", Network, of(Form::Bytea), classed("inet_ops");
    /// real
    Float4 [Float4Array] = 700 [1021], "float4", "real", Numeric, of(Form::Float4), fixed(4, Int);
    /// double precision
    Float8 [Float8Array] = 701 [1022], "float8", "double precision", Numeric, of(Form::Float8), fixed(8, Double), preferred();
    /// An untyped literal or NULL before it is resolved.
    Unknown = 705, "unknown", "unknown", Unknown, of(Form::Text), fixed(-2, Char);
    /// macaddr8: see [`crate::mac`]
    Macaddr8 [Macaddr8Array] = 774 [775], "macaddr8", "macaddr8", User, of(Form::Bytea), fixed(8, Int);
    /// money: hundredths
    Money [MoneyArray] = 790 [791], "money", "money", Numeric, of(Form::Int8), unhashed(), fixed(8, Double);
    /// macaddr: see [`crate::mac`]
    Macaddr [MacaddrArray] = 829 [1040], "macaddr", "macaddr", User, of(Form::Bytea), fixed(6, Int);
    /// inet: see [`crate::network`]
    Inet [InetArray] = 869 [1041], "inet", "inet", Network, of(Form::Bytea), preferred();
    /// character(n)
    Bpchar [BpcharArray] = 1042 [1014], "bpchar", "character", String, of(Form::Text), ordered(Order::BlankPadded),
        modified(Modifiers::Length("char"));
    /// character varying(n)
    Varchar [VarcharArray] = 1043 [1015], "varchar", "character varying", String, of(Form::Text), classed("text_ops"),
        modified(Modifiers::Length("varchar"));
    /// date
    Date [DateArray] = 1082 [1182], "date", "date", DateTime, of(Form::Date), fixed(4, Int);
    /// time without time zone: microseconds since midnight
    Time [TimeArray] = 1083 [1183], "time", "time without time zone", DateTime, of(Form::Int8), fixed(8, Double),
        modified(Modifiers::Precision("time", "without time zone"));
    /// timestamp without time zone
    Timestamp [TimestampArray] = 1114 [1115], "timestamp", "timestamp without time zone", DateTime, of(Form::Timestamp),
        fixed(8, Double), modified(Modifiers::Precision("timestamp", "without time zone"));
    /// timestamp with time zone
    Timestamptz [TimestamptzArray] = 1184 [1185], "timestamptz", "timestamp with time zone", DateTime, of(Form::Timestamptz),
        fixed(8, Double), preferred(), modified(Modifiers::Precision("timestamp", "with time zone"));
    /// interval
    Interval [IntervalArray] = 1186 [1187], "interval", "interval", Timespan, of(Form::Interval), fixed(16, Double),
        preferred(), modified(Modifiers::Interval);
    /// time with time zone: see [`crate::calendar::zoned_time`]
    Timetz [TimetzArray] = 1266 [1270], "timetz", "time with time zone", DateTime, of(Form::Bytea), fixed(12, Double),
        modified(Modifiers::Precision("time", "with time zone"));
    /// bit(n): see [`crate::bits`]
    Bit [BitArray] = 1560 [1561], "bit", "bit", BitString, of(Form::Bytea), unhashed(),
        modified(Modifiers::Bits("bit"));
    /// bit varying(n)
    Varbit [VarbitArray] = 1562 [1563], "varbit", "bit varying", BitString, of(Form::Bytea), unhashed(), preferred(),
        modified(Modifiers::Bits("varbit"));
    /// numeric(p, s)
    Numeric [NumericArray] = 1700 [1231], "numeric", "numeric", Numeric, of(Form::Numeric), modified(Modifiers::Decimal);
    /// regprocedure: the OID of a function, printed as its name and the types of its arguments
    Regprocedure [RegprocedureArray] = 2202 [2207], "regprocedure", "regprocedure", Numeric, of(Form::Oid),
        classed("oid_ops"), fixed(4, Int);
    /// regclass: the OID of a relation, printed as its name
    Regclass [RegclassArray] = 2205 [2210], "regclass", "regclass", Numeric, of(Form::Oid), classed("oid_ops"), fixed(4, Int);
    /// regtype: the OID of a type, printed as its name
    Regtype [RegtypeArray] = 2206 [2211], "regtype", "regtype", Numeric, of(Form::Oid), classed("oid_ops"), fixed(4, Int);
    /// record: a row of values whose types are known from itself
    Record [RecordArray] = 2249 [2287], "record", "record", Pseudo, of(Form::Record), aligned(Double);
    /// "any": a parameter that takes every type as it is
    Any = 2276, "any", "\"any\"", Pseudo, fixed(4, Int);
    /// anyarray
    AnyArray = 2277, "anyarray", "anyarray", Pseudo, aligned(Double);
    /// What a function without a result returns.
    Void = 2278, "void", "void", Pseudo, fixed(4, Int);
    /// anyelement
    AnyElement = 2283, "anyelement", "anyelement", Pseudo, fixed(4, Int);
    /// anynonarray
    AnyNonArray = 2776, "anynonarray", "anynonarray", Pseudo, fixed(4, Int);
    /// uuid
    Uuid [UuidArray] = 2950 [2951], "uuid", "uuid", User, of(Form::Uuid), fixed(16, Char);
    /// txid_snapshot: what pg_snapshot was called before
    TxidSnapshot [TxidSnapshotArray] = 2970 [2949], "txid_snapshot", "txid_snapshot", User, of(Form::Text),
        ordered(Order::None), aligned(Double);
    /// pg_snapshot: see [`crate::xid`]
    PgSnapshot [PgSnapshotArray] = 5038 [5039], "pg_snapshot", "pg_snapshot", User, of(Form::Text), ordered(Order::None),
        aligned(Double);
    /// xid8: see [`crate::xid`]
    Xid8 [Xid8Array] = 5069 [271], "xid8", "xid8", User, of(Form::Int8), fixed(8, Double);
    /// pg_lsn: see [`crate::lsn`]
    PgLsn [PgLsnArray] = 3220 [3221], "pg_lsn", "pg_lsn", User, of(Form::Int8), fixed(8, Double);
    /// jsonb: a document
    Jsonb [JsonbArray] = 3802 [3807], "jsonb", "jsonb", User, of(Form::Json);
    /// int4range: see [`crate::extent`]
    Int4Range [Int4RangeArray] = 3904 [3905], "int4range", "int4range", Range, of(Form::Bytea), bounded(TypeKind::Int4);
    /// numrange: what lies between its bounds is continuous
    Numrange [NumrangeArray] = 3906 [3907], "numrange", "numrange", Range, of(Form::Keyed), bounded(TypeKind::Numeric);
    /// tsrange
    Tsrange [TsrangeArray] = 3908 [3909], "tsrange", "tsrange", Range, of(Form::Bytea), bounded(TypeKind::Timestamp),
        aligned(Double);
    /// tstzrange
    Tstzrange [TstzrangeArray] = 3910 [3911], "tstzrange", "tstzrange", Range, of(Form::Bytea),
        bounded(TypeKind::Timestamptz), aligned(Double);
    /// daterange
    Daterange [DaterangeArray] = 3912 [3913], "daterange", "daterange", Range, of(Form::Bytea), bounded(TypeKind::Date);
    /// int8range
    Int8Range [Int8RangeArray] = 3926 [3927], "int8range", "int8range", Range, of(Form::Bytea), bounded(TypeKind::Int8),
        aligned(Double);
    /// jsonpath: a path through documents, as text
    Jsonpath [JsonpathArray] = 4072 [4073], "jsonpath", "jsonpath", User, of(Form::Text), ordered(Order::None);
    /// regnamespace: the OID of a schema, printed as its name
    Regnamespace [RegnamespaceArray] = 4089 [4090], "regnamespace", "regnamespace", Numeric, of(Form::Oid), classed("oid_ops"), fixed(4, Int);
    /// regrole: the OID of a role, printed as its name
    Regrole [RegroleArray] = 4096 [4097], "regrole", "regrole", Numeric, of(Form::Oid), classed("oid_ops"), fixed(4, Int);
    /// int4multirange: see [`crate::extent`]
    Int4Multirange [Int4MultirangeArray] = 4451 [6150], "int4multirange", "int4multirange", Range, of(Form::Bytea),
        gathering(TypeKind::Int4Range);
    /// nummultirange
    Nummultirange [NummultirangeArray] = 4532 [6151], "nummultirange", "nummultirange", Range, of(Form::Keyed),
        gathering(TypeKind::Numrange);
    /// tsmultirange
    Tsmultirange [TsmultirangeArray] = 4533 [6152], "tsmultirange", "tsmultirange", Range, of(Form::Bytea),
        gathering(TypeKind::Tsrange), aligned(Double);
    /// tstzmultirange
    Tstzmultirange [TstzmultirangeArray] = 4534 [6153], "tstzmultirange", "tstzmultirange", Range, of(Form::Bytea),
        gathering(TypeKind::Tstzrange), aligned(Double);
    /// datemultirange
    Datemultirange [DatemultirangeArray] = 4535 [6155], "datemultirange", "datemultirange", Range, of(Form::Bytea),
        gathering(TypeKind::Daterange);
    /// int8multirange
    Int8Multirange [Int8MultirangeArray] = 4536 [6157], "int8multirange", "int8multirange", Range, of(Form::Bytea),
        gathering(TypeKind::Int8Range), aligned(Double);
    /// anymultirange
    AnyMultirange = 4537, "anymultirange", "anymultirange", Pseudo, aligned(Double);
    /// anyrange
    AnyRange = 3831, "anyrange", "anyrange", Pseudo, aligned(Double);
    /// anyenum
    AnyEnum = 3500, "anyenum", "anyenum", Pseudo, fixed(4, Int);
    /// anycompatible
    AnyCompatible = 5077, "anycompatible", "anycompatible", Pseudo, fixed(4, Int);
    /// vector(n) of the extension of this name, by an OID of our own: see [`crate::vector`]
    Vector [VectorArray] = 9501 [9502], "vector", "vector", User, of(Form::Keyed), unhashed(),
        modified(Modifiers::Dimensions), of_extension("vector");
    /// citext of the extension of this name, by an OID of our own: see [`crate::citext`]
    Citext [CitextArray] = 9511 [9512], "citext", "citext", String, of(Form::Keyed), of_extension("citext");
    /// anycompatiblearray
    AnyCompatibleArray = 5078, "anycompatiblearray", "anycompatiblearray", Pseudo, aligned(Double);
}

#[expect(clippy::indexing_slicing, reason = "computed while compiling, where a wrong index is an error")]
pub(super) const COUNT: usize = {
    let mut count = 0;
    let mut at = 0;
    while at < ENTRIES.len() {
        count += if ENTRIES[at].array.is_some() { 2 } else { 1 };
        at += 1;
    }
    count
};

/// All types by ascending OID.
pub(super) static ROWS: [TypeRow; COUNT] = sorted();

#[expect(clippy::indexing_slicing, reason = "computed while compiling, where a wrong index is an error")]
const fn sorted() -> [TypeRow; COUNT] {
    let mut rows = [UNDEFINED; COUNT];
    let mut filled = 0;
    let mut at = 0;
    while at < ENTRIES.len() {
        filled = insert(&mut rows, filled, ENTRIES[at].row);
        if let Some(array) = ENTRIES[at].array {
            filled = insert(&mut rows, filled, array);
        }
        at += 1;
    }
    rows
}

#[expect(clippy::indexing_slicing, reason = "computed while compiling, where a wrong index is an error")]
const fn insert(rows: &mut [TypeRow; COUNT], filled: usize, row: TypeRow) -> usize {
    let mut at = filled;
    while at > 0 && rows[at - 1].id.oid > row.id.oid {
        rows[at] = rows[at - 1];
        at -= 1;
    }
    rows[at] = row;
    filled + 1
}

/// Above the OIDs of all types.
const OIDS: usize = 9520;

/// Where the row of an OID stands, counted from 1.
static PLACES: [u8; OIDS] = places();

#[expect(clippy::indexing_slicing, reason = "computed while compiling, where a wrong index is an error")]
const fn places() -> [u8; OIDS] {
    let rows = sorted();
    let mut places = [0; OIDS];
    let mut at = 0;
    while at < COUNT {
        places[rows[at].id.oid as usize] = at as u8 + 1;
        at += 1;
    }
    places
}

/// Where the row of the type of this OID stands.
#[inline]
pub(super) fn place(oid: u32) -> Option<usize> {
    PLACES.get(oid as usize).and_then(|place| usize::from(*place).checked_sub(1))
}

/// The row of the type of this OID.
#[inline]
pub(super) fn find(oid: u32) -> Option<&'static TypeRow> {
    place(oid).and_then(|place| ROWS.get(place))
}
