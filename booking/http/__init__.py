"""booking/http"""
