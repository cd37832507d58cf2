"""Reports: figures counted from the store, laid out as blocks, written as DOCX, XLSX and HTML."""
